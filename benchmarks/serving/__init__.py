"""The local server beside KServe's and LitServe's Python servers, with the same artefact: `make bench-serving`.

`__main__` runs it, `contenders` says what is run and in which environment, `load` is the process that asks, `results`
keeps what came out, `page` makes the site's page of it.
"""
