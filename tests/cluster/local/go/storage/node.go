package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// nodeService mounts the volumes. The loop devices clear themselves when their file system is unmounted, also when that
// happens because the mount namespace of a killed cluster goes away.
type nodeService struct {
	csi.UnimplementedNodeServer
	volumes string
	name    string
}

func (n *nodeService) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.name}, nil
}

func (*nodeService) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	response := &csi.NodeGetCapabilitiesResponse{}
	for _, kind := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		rpc := &csi.NodeServiceCapability_RPC{Type: kind}
		response.Capabilities = append(response.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: rpc},
		})
	}
	return response, nil
}

func (n *nodeService) NodeStageVolume(
	_ context.Context, request *csi.NodeStageVolumeRequest,
) (*csi.NodeStageVolumeResponse, error) {
	image, err := imagePath(n.volumes, request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	target := request.GetStagingTargetPath()
	if !mounted(target) {
		if err := growOffline(image); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
	}
	if err := mountOnce(target, "-t", "ext4", "-o", "loop", image, target); err != nil {
		return nil, err
	}
	// Users of a volume of their own do not expect anything in it.
	if err := os.Remove(filepath.Join(target, "lost+found")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeStageVolumeResponse{}, nil
}

func (*nodeService) NodePublishVolume(
	_ context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	target := request.GetTargetPath()
	options := "bind"
	if request.GetReadonly() {
		options = "bind,ro"
	}
	if err := mountOnce(target, "-o", options, request.GetStagingTargetPath(), target); err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (*nodeService) NodeUnpublishVolume(
	_ context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := unmount(request.GetTargetPath()); err != nil {
		return nil, err
	}
	if err := os.Remove(request.GetTargetPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

func (*nodeService) NodeUnstageVolume(
	_ context.Context, request *csi.NodeUnstageVolumeRequest,
) (*csi.NodeUnstageVolumeResponse, error) {
	if err := unmount(request.GetStagingTargetPath()); err != nil {
		return nil, err
	}
	return &csi.NodeUnstageVolumeResponse{}, nil
}

func (n *nodeService) NodeExpandVolume(
	_ context.Context, request *csi.NodeExpandVolumeRequest,
) (*csi.NodeExpandVolumeResponse, error) {
	image, err := imagePath(n.volumes, request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if err := growOnline(image); err != nil {
		// The kubelet does not try this again before the next pod; the volume grows when that stages it.
		return nil, status.Errorf(codes.FailedPrecondition, "it does not grow while a pod uses it: %v", err)
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: request.GetCapacityRange().GetRequiredBytes()}, nil
}

func (*nodeService) NodeGetVolumeStats(
	_ context.Context, request *csi.NodeGetVolumeStatsRequest,
) (*csi.NodeGetVolumeStatsResponse, error) {
	var found unix.Statfs_t
	if err := unix.Statfs(request.GetVolumePath(), &found); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	block := found.Bsize
	bytes := &csi.VolumeUsage{
		Unit:      csi.VolumeUsage_BYTES,
		Total:     int64(found.Blocks) * block,
		Available: int64(found.Bavail) * block,
		Used:      int64(found.Blocks-found.Bfree) * block,
	}
	inodes := &csi.VolumeUsage{
		Unit:      csi.VolumeUsage_INODES,
		Total:     int64(found.Files),
		Available: int64(found.Ffree),
		Used:      int64(found.Files - found.Ffree),
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{bytes, inodes}}, nil
}

// mountOnce mounts something on target, unless something is mounted there already: the kubelet may ask twice.
func mountOnce(target string, arguments ...string) error {
	if err := os.MkdirAll(target, 0o750); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	if mounted(target) {
		return nil
	}
	if err := run("mount", arguments...); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

func mounted(target string) bool { return run("mountpoint", "-q", target) == nil }

// unmount is done when nothing is mounted there, whoever did it.
func unmount(target string) error {
	if err := unix.Unmount(target, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}
