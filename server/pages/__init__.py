"""Pages that need no build: what the graph can do, for people to try and to look at."""
