package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/cmd/talosctl/cmd/talos/output"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/formatters"
	"github.com/siderolabs/talos/pkg/machinery/nethelpers"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/version"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const node = "192.168.1.21"

// started is fixed, so that the same is printed each time.
var started = time.Date(2026, time.August, 1, 8, 0, 0, 0, time.UTC)

// disks are those of a worker before it has its configuration: a system disk, a disk for data, the CD-ROM of cloud-init.
func disks() []resource.Resource {
	sda := block.NewDisk(block.NamespaceName, "sda")
	sda.TypedSpec().DevPath = "/dev/sda"
	sda.TypedSpec().SetSize(60 << 30)
	sda.TypedSpec().Model = "QEMU HARDDISK"
	sda.TypedSpec().Transport = "virtio"
	vda := block.NewDisk(block.NamespaceName, "vda")
	vda.TypedSpec().DevPath = "/dev/vda"
	vda.TypedSpec().SetSize(100 << 30)
	vda.TypedSpec().Serial = "cassandra-r1-0"
	vda.TypedSpec().Transport = "virtio"
	sr0 := block.NewDisk(block.NamespaceName, "sr0")
	sr0.TypedSpec().DevPath = "/dev/sr0"
	sr0.TypedSpec().CDROM = true
	return []resource.Resource{sda, sr0, vda}
}

func links() []resource.Resource {
	eth0 := network.NewLinkStatus(network.NamespaceName, "ens18")
	eth0.TypedSpec().Type = nethelpers.LinkEther
	eth0.TypedSpec().HardwareAddr = nethelpers.HardwareAddr{0x02, 0, 0, 0, 0x02, 0x01}
	eth0.TypedSpec().PermanentAddr = nethelpers.HardwareAddr{0x02, 0, 0, 0, 0x02, 0x01}
	eth0.TypedSpec().OperationalState = nethelpers.OperStateUp
	lo := network.NewLinkStatus(network.NamespaceName, "lo")
	lo.TypedSpec().Type = nethelpers.LinkLoopbck
	return []resource.Resource{eth0, lo}
}

func volumes() []resource.Resource {
	ready := block.NewVolumeStatus(block.NamespaceName, "u-cassandra-r1-0")
	ready.TypedSpec().Phase = block.VolumePhaseReady
	ready.TypedSpec().Type = block.VolumeTypePartition
	ready.TypedSpec().Location = "/dev/vda1"
	ready.TypedSpec().SetSize(100 << 30)
	failed := block.NewVolumeStatus(block.NamespaceName, "u-mongodb-0")
	failed.TypedSpec().Phase = block.VolumePhaseFailed
	failed.TypedSpec().Type = block.VolumeTypePartition
	failed.TypedSpec().ErrorMessage = "no disks matched for volume"
	return []resource.Resource{ready, failed}
}

func machineStatus() []resource.Resource {
	status := runtime.NewMachineStatus()
	status.TypedSpec().Stage = runtime.MachineStageShuttingDown
	return []resource.Resource{status}
}

func machineConfig() []resource.Resource {
	provider, err := configloader.NewFromBytes([]byte(`version: v1alpha1
machine:
  type: worker
  kubelet:
    image: ghcr.io/siderolabs/kubelet:v1.36.3
cluster:
  controlPlane:
    endpoint: https://192.168.1.20:6443
---
apiVersion: v1alpha1
kind: HostnameConfig
hostname: talos-worker-01
`))
	if err != nil {
		panic(err)
	}
	return []resource.Resource{config.NewMachineConfig(provider)}
}

func printResources(resources []resource.Resource) error {
	writer := output.NewJSON(os.Stdout)
	for _, each := range resources {
		each.Metadata().SetCreated(started)
		each.Metadata().SetUpdated(started)
		if err := writer.WriteResource(node, each, state.Created); err != nil {
			return err
		}
	}
	return writer.Flush()
}

// printVersion prints as cmdVersion of talosctl, which is not exported: its lines around what the module prints.
func printVersion(out io.Writer) error {
	info := &machine.VersionInfo{Tag: version.Tag, Sha: "5a2e1f5d", GoVersion: "go1.26.6", Os: "linux", Arch: "amd64"}
	fmt.Fprintln(out, "Client:")
	version.WriteLongVersionFromExisting(out, info)
	fmt.Fprintf(out, "Server:\n\t%s:        %s\n", "NODE", node)
	version.WriteLongVersionFromExisting(out, info)
	_, err := fmt.Fprintf(out, "\tEnabled:     %s\n", "RBAC")
	return err
}

func printService(out io.Writer) error {
	event := func(state, message string, ago time.Duration) *machine.ServiceEvent {
		return &machine.ServiceEvent{State: state, Msg: message, Ts: timestamppb.New(time.Now().Add(-ago))}
	}
	etcd := &machine.ServiceInfo{
		Id:    "etcd",
		State: "Running",
		Health: &machine.ServiceHealth{
			Healthy: true,
		},
		Events: &machine.ServiceEvents{Events: []*machine.ServiceEvent{
			event("Preparing", "Running pre state", 2*time.Hour),
			event("Running", "Health check successful", time.Hour),
		}},
	}
	info := client.ServiceInfo{Metadata: &common.Metadata{Hostname: node}, Service: etcd}
	return formatters.RenderServicesInfo([]client.ServiceInfo{info}, out, node, true)
}

// printing prints what talosctl prints of a node: its own code over a node that is made up here.
func printing() *cobra.Command {
	kinds := map[string]func() error{
		"disks":         func() error { return printResources(disks()) },
		"links":         func() error { return printResources(links()) },
		"machineconfig": func() error { return printResources(machineConfig()) },
		"machinestatus": func() error { return printResources(machineStatus()) },
		"volumestatus":  func() error { return printResources(volumes()) },
		"service":       func() error { return printService(os.Stdout) },
		"version":       func() error { return printVersion(os.Stdout) },
	}
	return &cobra.Command{
		Use:   "print KIND",
		Short: "Print what talosctl prints of a node",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			run, ok := kinds[args[0]]
			if !ok {
				return fmt.Errorf("unknown kind %q", args[0])
			}
			return run()
		},
	}
}
