"""The demo: a pocket cluster, real requests, one good and one bad release, and a verdict.

`play.py` tells the story, `ring.py` starts the five services, `traffic.py` sends the requests,
`watching.py` collects what happens, `show.py` draws it, `verdict.py` judges it without any I/O.
"""
