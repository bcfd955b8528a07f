"""Dialogues about clips as token ids, and what of them is learned."""
