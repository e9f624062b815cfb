"""An access log that a collector parses, written as one format string."""

accesslog = "-"
access_log_format = (
    '{"time":"%(t)s","remote":"%(h)s","forwarded":"%({x-forwarded-for}i)s","request":"%(r)s","method":"%(m)s",'
    '"path":"%(U)s","query":"%(q)s","protocol":"%(H)s","status":%(s)s,"bytes":%(B)s,"referer":"%(f)s",'
    '"agent":"%(a)s","seconds":%(L)s,"microseconds":%(D)s,"type":"%({content-type}o)s",'
    '"server":"%({SERVER_NAME}e)s","pid":"%(p)s"}'
)
