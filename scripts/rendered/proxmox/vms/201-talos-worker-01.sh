#!/bin/sh
# talos-worker-01 on proxmox, for review: the commands with which the bootstrap creates this VM. It checks the host before
# each command; do not run this file.
qm create 201 \
  --name talos-worker-01 \
  --description 'collab-homelab talos-worker-01' \
  --ostype l26 \
  --machine q35 \
  --bios ovmf \
  --cpu host \
  --cores 6 \
  --memory 22528 \
  --balloon 0 \
  --scsihw virtio-scsi-pci \
  --net0 virtio=02:00:00:00:02:01,bridge=vmbr0 \
  --serial0 socket \
  --onboot 1 \
  --startup order=3,up=0,down=450 \
  --protection 1 \
  --agent enabled=0 \
  --ipconfig0 ip=192.168.1.21/24,gw=192.168.1.1 \
  --nameserver 192.168.1.1
qm set 201 \
  --efidisk0 local-lvm:1,efitype=4m,pre-enrolled-keys=0
qm set 201 \
  --scsi0 local-lvm:0,import-from=local:import/collab-homelab-talos-v1.13.9-376567988ad3.raw,cache=none,discard=on,ssd=1 \
  --boot order=scsi0
qm disk resize 201 scsi0 60G
qm set 201 \
  --ide0 local-lvm:cloudinit
qm set 201 \
  --virtio1 local-lvm:100,backup=0,cache=none,discard=on,iothread=1,serial=cassandra-r1-0
qm set 201 \
  --virtio2 local-lvm:100,backup=0,cache=none,discard=on,iothread=1,serial=cassandra-r2-0
qm set 201 \
  --virtio3 local-lvm:100,backup=0,cache=none,discard=on,iothread=1,serial=cassandra-r3-0
qm start 201
