"""Letters to persons: written when their requests change, rendered in their language, sent with patience."""
