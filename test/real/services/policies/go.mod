module collab-homelab/services/policies

go 1.26.0

require sigs.k8s.io/kube-network-policies v0.7.0
