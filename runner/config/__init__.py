"""Configuration: YAML -> positioned tree -> validated Deployment; schema, diff, reload classes."""
