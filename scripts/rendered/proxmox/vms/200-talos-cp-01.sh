#!/bin/sh
# talos-cp-01 on proxmox, for review: the commands with which the bootstrap creates this VM. It checks the host before
# each command; do not run this file.
qm create 200 \
  --name talos-cp-01 \
  --description 'collab-homelab talos-cp-01' \
  --ostype l26 \
  --machine q35 \
  --bios ovmf \
  --cpu host \
  --cores 2 \
  --memory 4096 \
  --balloon 0 \
  --scsihw virtio-scsi-pci \
  --net0 virtio=02:00:00:00:02:00,bridge=vmbr0 \
  --serial0 socket \
  --onboot 1 \
  --startup order=1,up=60,down=270 \
  --protection 1 \
  --agent enabled=0 \
  --ipconfig0 ip=192.168.1.20/24,gw=192.168.1.1 \
  --nameserver 192.168.1.1
qm set 200 \
  --efidisk0 local-lvm:1,efitype=4m,pre-enrolled-keys=0
qm set 200 \
  --scsi0 local-lvm:0,import-from=local:import/collab-homelab-talos-v1.13.9-376567988ad3.raw,cache=none,discard=on,ssd=1 \
  --boot order=scsi0
qm disk resize 200 scsi0 40G
qm set 200 \
  --ide0 local-lvm:cloudinit
qm start 200
