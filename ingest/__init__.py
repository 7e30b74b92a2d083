"""Files -> Document -> Block -> Chunk. Knows nothing of search or models."""
