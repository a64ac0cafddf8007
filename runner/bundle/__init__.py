"""Deployments built for places where rtrun itself does not run."""
