package natsengine

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// dirs are the directories in use in this process, of which a lock on a file may say
// nothing.
var dirs struct {
	sync.Mutex
	used map[string]bool
}

// A dirLock keeps other servers out of a directory, as far as the system can.
type dirLock struct {
	path string
	file *os.File
}

func lockDir(dir string) (*dirLock, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cluster: directory of the server: %w", err)
	}
	dirs.Lock()
	defer dirs.Unlock()
	if dirs.used[path] {
		return nil, fmt.Errorf("cluster: another server of this process uses %s", dir)
	}
	file, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cluster: directory of the server: %w", err)
	}
	if err := lockFile(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("cluster: another process uses %s: %w", dir, err)
	}
	if dirs.used == nil {
		dirs.used = make(map[string]bool)
	}
	dirs.used[path] = true
	return &dirLock{path, file}, nil
}

func (l *dirLock) release() {
	dirs.Lock()
	defer dirs.Unlock()
	delete(dirs.used, l.path)
	l.file.Close() // which also unlocks it
}

func splitAddress(address string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(p)
	}
	if err != nil {
		return "", 0, fmt.Errorf("cluster: address of the server: %w", err)
	}
	return host, port, nil
}
