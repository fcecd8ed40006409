cp -r /etc/cassandra/. /conf/
cp /config/cassandra.yaml /config/jvm-server.options /config/logback.xml /conf/
cp /config/cassandra-rackdc-@RACK@.properties /conf/cassandra-rackdc.properties
