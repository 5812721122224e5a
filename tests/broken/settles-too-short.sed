# must be caught by: settle in retry/settles*
# Half a second lies before the second exec.
s/^    sleep 1$/    sleep 0.5/
