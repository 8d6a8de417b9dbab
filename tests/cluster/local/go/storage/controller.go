package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	blockSize   = 4096
	defaultSize = 64 << 20
	// Below this, ext4 has no room for a journal, and without one a power cut is not survived.
	smallestSize = 8 << 20
)

// A volume's id is a file name; nothing else may reach the file system.
var volumeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// controller makes, grows and deletes the volumes' files.
type controller struct {
	csi.UnimplementedControllerServer
	volumes string
}

func (*controller) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, kind := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		rpc := &csi.ControllerServiceCapability_RPC{Type: kind}
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: rpc},
		})
	}
	return response, nil
}

// CreateVolume makes the file system under another name first: a file that has its name is whole.
func (c *controller) CreateVolume(_ context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	size, err := wantedSize(request.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	path, err := imagePath(c.volumes, request.GetName())
	if err != nil {
		return nil, err
	}
	if existing, err := os.Stat(path); err == nil {
		if existing.Size() != size {
			return nil, status.Errorf(codes.AlreadyExists, "%s exists with %d bytes", request.GetName(), existing.Size())
		}
	} else if err := makeFileSystem(path, size); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{VolumeId: request.GetName(), CapacityBytes: size}}, nil
}

func (c *controller) DeleteVolume(_ context.Context, request *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	path, err := imagePath(c.volumes, request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.DeleteVolumeResponse{}, nil
}

func (c *controller) ControllerExpandVolume(
	_ context.Context, request *csi.ControllerExpandVolumeRequest,
) (*csi.ControllerExpandVolumeResponse, error) {
	size, err := wantedSize(request.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	path, err := imagePath(c.volumes, request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	existing, err := os.Stat(path)
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if size = max(size, existing.Size()); size > existing.Size() {
		if err := os.Truncate(path, size); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: size, NodeExpansionRequired: true}, nil
}

func (c *controller) ValidateVolumeCapabilities(
	_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	path, err := imagePath(c.volumes, request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: request.GetVolumeCapabilities()},
	}, nil
}

func imagePath(volumes, id string) (string, error) {
	if !volumeID.MatchString(id) {
		return "", status.Errorf(codes.InvalidArgument, "%q is no id of a volume", id)
	}
	return filepath.Join(volumes, id+".ext4"), nil
}

// wantedSize is the claim's size in whole blocks.
func wantedSize(wanted *csi.CapacityRange) (int64, error) {
	size := wanted.GetRequiredBytes()
	if size == 0 {
		size = defaultSize
	}
	size = (size + blockSize - 1) / blockSize * blockSize
	if limit := wanted.GetLimitBytes(); size < smallestSize || (limit > 0 && size > limit) {
		return 0, status.Errorf(codes.OutOfRange, "%d bytes: must be at least %d and at most the claim's limit", size, smallestSize)
	}
	return size, nil
}
