"""What `./dev` runs beside the product and its tests: counted sections, generators of reference pages, soft notes."""
