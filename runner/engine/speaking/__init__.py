"""Speaking: clauses, speech synthesis, and the models of one engine."""
