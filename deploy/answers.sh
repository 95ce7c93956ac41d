#!/bin/bash
# answers PATH [PORT]: status 0 if http://127.0.0.1:PORT/PATH is answered with 200 within 5 seconds.
# For health checks. The image has no curl, and a Python interpreter at every look would cost more than a
# worker that has nothing to do.
path=$1 port=${2:-${STREAM_APP_HTTP_PORT:-9464}}
exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$path" >&3
read -r -t 5 _ status _ <&3
[[ $status == 200 ]]
