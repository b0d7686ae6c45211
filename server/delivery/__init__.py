"""What delivery takes from libraries: planned routes, areas on the map, and the ways in which countries write addresses."""
