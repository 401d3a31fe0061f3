"""What can be done with a run: each verb of the command line that is not training, as a function of the same name.

Each call reads the model anew; for many small inputs keep it, ``vae = run.vae()``: ``vae.encode(x)`` takes little time.
"""
