// Package ring is the kernel's io_uring interface, one to one.
package ring
