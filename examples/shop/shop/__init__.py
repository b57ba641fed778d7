"""A small web shop: catalogue, prices, carts, orders and a background worker, on the standard library alone."""
