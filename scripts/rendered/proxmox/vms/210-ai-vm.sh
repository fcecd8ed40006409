#!/bin/sh
# ai-vm on proxmox, for review: the commands with which the bootstrap creates this VM. It checks the host before
# each command; do not run this file.
qm create 210 \
  --name ai-vm \
  --description 'collab-homelab ai-vm' \
  --ostype l26 \
  --machine q35 \
  --bios ovmf \
  --cpu host \
  --cores 8 \
  --memory 32768 \
  --balloon 0 \
  --scsihw virtio-scsi-pci \
  --net0 virtio=02:00:00:00:02:10,bridge=vmbr0 \
  --serial0 socket \
  --onboot 1 \
  --startup order=2,up=0,down=180 \
  --protection 1 \
  --cicustom meta=local:snippets/collab-homelab-ai-vm-meta.yaml,network=local:snippets/collab-homelab-ai-vm-network.yaml,user=local:snippets/collab-homelab-ai-vm-user.yaml
qm set 210 \
  --efidisk0 local-lvm:1,efitype=4m,pre-enrolled-keys=0
qm set 210 \
  --scsi0 local-lvm:0,import-from=local:import/collab-homelab-ubuntu-24.04-20260814.qcow2,cache=none,discard=on,ssd=1 \
  --boot order=scsi0
qm disk resize 210 scsi0 300G
qm set 210 \
  --ide0 local-lvm:cloudinit
qm start 210
