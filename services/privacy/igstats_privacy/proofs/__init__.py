"""How a person proves who they are: mail codes, matched points, Instagram Login, the account's key; and what then."""
