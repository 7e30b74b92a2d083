"""Measures retrieval, answers and grounding; the only package that may import ragas."""
