"""Drafts of specs, made from the data, and what a spec says in words."""
