"""llama.cpp's server over a GGUF file, on a free port. Tells its address on stdout and ends when stdin does."""

import os
import sys

from xllamacpp import CommonParams, Server

params = CommonParams()
params.model.path = sys.argv[1]
params.model_alias = {sys.argv[2]}
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_parallel = 2
params.n_ctx = 4096
# Threads of a batch wait for each other by spinning: beside other tests one is faster than two.
params.cpuparams.n_threads = 1
server = Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
# The native threads have nothing to say goodbye to.
os._exit(0)
