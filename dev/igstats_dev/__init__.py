"""The igstats stack on a laptop."""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else gRPC remarks on every connection that a server ends
