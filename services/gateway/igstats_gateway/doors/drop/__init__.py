"""California's Delete Request and Opt-out Platform: pull the deletion lists, act on them, report what became of each.

It stands in the gateway because the mail addresses that a list can match stand here: a hash is compared where they are,
in the transaction that takes the list in, and neither hashes nor addresses of strangers go anywhere or stay.

Civil Code 1798.99.86 (Delete Act) asks data brokers to do this every 45 days. Off until an API key is set: whether the
operator is a data broker, and which data are exempt because persons gave them themselves, is for the operator to say.
"""
