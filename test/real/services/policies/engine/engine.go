// Package networkpolicy: this file is compiled into a copy of kube-network-policies, whose evaluation of packets is not exported.
package networkpolicy

import (
	"context"
	"net"

	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	npaclientfake "sigs.k8s.io/network-policy-api/pkg/client/clientset/versioned/fake"
	npainformers "sigs.k8s.io/network-policy-api/pkg/client/informers/externalversions"
)

// Engine evaluates packets against objects, without a cluster and without a kernel.
type Engine struct{ controller *Controller }

// NewEngine returns an engine that knows these objects.
func NewEngine(pods []v1.Pod, namespaces []v1.Namespace, policies []networkingv1.NetworkPolicy) (*Engine, error) {
	client := fake.NewSimpleClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	adminClient := npaclientfake.NewSimpleClientset()
	adminFactory := npainformers.NewSharedInformerFactory(adminClient, 0)
	controller, err := newController(
		client,
		factory.Networking().V1().NetworkPolicies(),
		factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(),
		factory.Core().V1().Nodes(),
		adminClient,
		adminFactory.Policy().V1alpha1().AdminNetworkPolicies(),
		adminFactory.Policy().V1alpha1().BaselineAdminNetworkPolicies(),
		Config{NodeName: "node", QueueID: 100},
	)
	if err != nil {
		return nil, err
	}
	for index := range pods {
		if err := factory.Core().V1().Pods().Informer().GetStore().Add(&pods[index]); err != nil {
			return nil, err
		}
	}
	for index := range namespaces {
		if err := factory.Core().V1().Namespaces().Informer().GetStore().Add(&namespaces[index]); err != nil {
			return nil, err
		}
	}
	for index := range policies {
		if err := factory.Networking().V1().NetworkPolicies().Informer().GetStore().Add(&policies[index]); err != nil {
			return nil, err
		}
	}
	return &Engine{controller}, nil
}

// Allows says whether the first packet of a connection passes.
func (e *Engine) Allows(from, to string, port int, protocol string) bool {
	return e.controller.evaluatePacket(context.Background(), packet{
		family:  v1.IPv4Protocol,
		srcIP:   net.ParseIP(from),
		dstIP:   net.ParseIP(to),
		proto:   v1.Protocol(protocol),
		srcPort: 40000,
		dstPort: port,
	})
}
