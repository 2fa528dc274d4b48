"""What a person receives: the package of an access or portability request, made while it is sent."""
