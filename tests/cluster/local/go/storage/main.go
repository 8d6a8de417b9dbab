// Command storage is a CSI driver for the one node of the local cluster. Each volume is an ext4 file system of exactly
// the claim's size in a sparse file behind a loop device, so that a full volume is really full.
//
// It runs as a process beside the kubelet, in the same mount namespace, and announces itself to the kubelet as
// node-driver-registrar would. external-provisioner and external-resizer call it like any other driver.
package main

import (
	"flag"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driverName = "loop.storage.riskbus.io"

func main() {
	socket := flag.String("socket", "", "where the CSI services listen")
	registrations := flag.String("registrations", "", "the folder that the kubelet watches for plugins")
	volumes := flag.String("volumes", "", "the folder of the volumes' files")
	node := flag.String("node", "", "name of the node")
	flag.Parse()

	server := grpc.NewServer()
	csi.RegisterIdentityServer(server, &identity{})
	csi.RegisterControllerServer(server, &controller{volumes: *volumes})
	csi.RegisterNodeServer(server, &nodeService{volumes: *volumes, name: *node})
	go serve(server, *socket)

	announcement := grpc.NewServer()
	registration.RegisterRegistrationServer(announcement, &registrar{socket: *socket})
	serve(announcement, filepath.Join(*registrations, driverName+".sock"))
}

// serve answers on a Unix socket until the process is killed.
func serve(server *grpc.Server, socket string) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		log.Fatal(err)
	}
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}
