[ $(($(date +%s) - $(cat /tmp/serves))) -lt 60 ]
