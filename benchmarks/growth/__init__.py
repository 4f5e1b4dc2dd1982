"""How time and memory grow with the number of ratings and with the size of the catalogue."""
