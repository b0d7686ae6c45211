"""The seller API as REST: registered documents of the graph under addresses of their own, executed by the same edge."""
