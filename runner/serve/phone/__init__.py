"""The telephone: calls that the service announces by webhook, answered by deployments."""
