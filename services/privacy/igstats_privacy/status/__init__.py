"""What whoever holds a status code may see and do, and what everybody may know."""
