"""The main job of the product, told step by step on a running stack; every step is checked."""
