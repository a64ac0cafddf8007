"""Stands for a program: it is named, watched and never run here."""
