#!/bin/sh
# talos-worker-02 on proxmox, for review: the commands with which the bootstrap creates this VM. It checks the host before
# each command; do not run this file.
qm create 202 \
  --name talos-worker-02 \
  --description 'collab-homelab talos-worker-02' \
  --ostype l26 \
  --machine q35 \
  --bios ovmf \
  --cpu host \
  --cores 8 \
  --memory 22528 \
  --balloon 0 \
  --scsihw virtio-scsi-pci \
  --net0 virtio=02:00:00:00:02:02,bridge=vmbr0 \
  --serial0 socket \
  --onboot 1 \
  --startup order=3,up=0,down=450 \
  --protection 1 \
  --agent enabled=0 \
  --ipconfig0 ip=192.168.1.22/24,gw=192.168.1.1 \
  --nameserver 192.168.1.1
qm set 202 \
  --efidisk0 local-lvm:1,efitype=4m,pre-enrolled-keys=0
qm set 202 \
  --scsi0 local-lvm:0,import-from=local:import/collab-homelab-talos-v1.13.9-376567988ad3.raw,cache=none,discard=on,ssd=1 \
  --boot order=scsi0
qm disk resize 202 scsi0 60G
qm set 202 \
  --ide0 local-lvm:cloudinit
qm set 202 \
  --virtio1 local-lvm:100,backup=0,cache=none,discard=on,iothread=1,serial=mongodb-0
qm set 202 \
  --virtio2 local-lvm:100,backup=0,cache=none,discard=on,iothread=1,serial=mongodb-1
qm set 202 \
  --virtio3 local-lvm:100,backup=0,cache=none,discard=on,iothread=1,serial=mongodb-2
qm set 202 \
  --virtio4 local-lvm:50,backup=0,cache=none,discard=on,iothread=1,serial=documents-uploads
qm start 202
