"""Chunk -> Hit. Knows nothing of prompts or LLMs."""
