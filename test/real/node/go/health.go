package main

import (
	"flag"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// serve answers grpc.health.v1 until SIGTERM.
func serve(address, service string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	checks := health.NewServer()
	if service != "" {
		checks.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
		checks.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
	}
	healthpb.RegisterHealthServer(server, checks)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

// serveHealth reads the command line of health.
func serveHealth(args []string) {
	flags := flag.NewFlagSet("health", flag.ExitOnError)
	address := flags.String("listen", ":50051", "address and port")
	service := flags.String("service", "", "the only service that is SERVING; every one by default")
	_ = flags.Parse(args)
	if err := serve(*address, *service); err != nil {
		fail(err)
	}
}
