"""Hit -> Answer. The only package that joins ingest, index, models and LLMs."""
