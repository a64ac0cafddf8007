"""What a running rtrun offers to people and programs beside its calls."""
