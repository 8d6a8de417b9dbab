package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func makeFileSystem(path string, size int64) error {
	unfinished := path + ".new"
	file, err := os.Create(unfinished)
	if err != nil {
		return err
	}
	defer os.Remove(unfinished)
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		return err
	}
	lazy := "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
	if err := run("mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-E", lazy, unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// growOffline makes a file system that is not mounted as large as its file.
func growOffline(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if size, err := fileSystemSize(path); err != nil || size >= info.Size() {
		return err
	}
	// resize2fs insists on a check. Exit code 1 means that e2fsck put the journal in order.
	err = run("e2fsck", "-f", "-p", path)
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return err
	}
	return run("resize2fs", path)
}

// growOnline makes a mounted file system as large as its file. The kernel wants CAP_SYS_RESOURCE for that.
func growOnline(path string) error {
	output, err := exec.Command("losetup", "--noheadings", "--output", "NAME", "--associated", path).Output()
	if err != nil {
		return err
	}
	device := strings.TrimSpace(string(output))
	if err := run("losetup", "--set-capacity", device); err != nil {
		return err
	}
	return run("resize2fs", device)
}

// fileSystemSize is the size that the superblock tells, whose layout is in the kernel's documentation of ext4.
func fileSystemSize(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	superblock := make([]byte, 28)
	if _, err := file.ReadAt(superblock, 1024); err != nil {
		return 0, err
	}
	blocks := binary.LittleEndian.Uint32(superblock[4:])
	shift := binary.LittleEndian.Uint32(superblock[24:])
	return int64(blocks) * 1024 << shift, nil
}

// run runs a program; its error has what the program said.
func run(name string, arguments ...string) error {
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(output)))
	}
	return nil
}
