package ring

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// layouts are facts of the kernel's ABI: expressions of C, what they are in Go,
// and what they must be.
func layouts() []layout {
	var (
		sqe    SQE
		cqe    CQE
		p      Params
		sq     sqOffsets
		cq     cqOffsets
		arg    waitArg
		sync   syncCancel
		b      buf
		wait   RegWait
		region RegionDesc
		update rsrcUpdate2
		rsrc   rsrcRegister
		reg    bufReg
		probe  Probe
		napi   NAPI
		clone  cloneBuffers
	)
	return []layout{
		{"sizeof(struct io_uring_sqe)", unsafe.Sizeof(sqe), 64},
		{"offsetof(struct io_uring_sqe, opcode)", unsafe.Offsetof(sqe.Opcode), 0},
		{"offsetof(struct io_uring_sqe, flags)", unsafe.Offsetof(sqe.Flags), 1},
		{"offsetof(struct io_uring_sqe, ioprio)", unsafe.Offsetof(sqe.IOPrio), 2},
		{"offsetof(struct io_uring_sqe, fd)", unsafe.Offsetof(sqe.FD), 4},
		{"offsetof(struct io_uring_sqe, off)", unsafe.Offsetof(sqe.Off), 8},
		{"offsetof(struct io_uring_sqe, addr2)", unsafe.Offsetof(sqe.Off), 8},
		{"offsetof(struct io_uring_sqe, cmd_op)", unsafe.Offsetof(sqe.Off), 8},
		{"offsetof(struct io_uring_sqe, addr)", unsafe.Offsetof(sqe.Addr), 16},
		{"offsetof(struct io_uring_sqe, splice_off_in)", unsafe.Offsetof(sqe.Addr), 16},
		{"offsetof(struct io_uring_sqe, optname)", unsafe.Offsetof(sqe.Addr) + 4, 20},
		{"offsetof(struct io_uring_sqe, len)", unsafe.Offsetof(sqe.Len), 24},
		{"offsetof(struct io_uring_sqe, rw_flags)", unsafe.Offsetof(sqe.OpFlags), 28},
		{"offsetof(struct io_uring_sqe, user_data)", unsafe.Offsetof(sqe.UserData), 32},
		{"offsetof(struct io_uring_sqe, buf_index)", unsafe.Offsetof(sqe.BufIndex), 40},
		{"offsetof(struct io_uring_sqe, buf_group)", unsafe.Offsetof(sqe.BufIndex), 40},
		{"offsetof(struct io_uring_sqe, personality)", unsafe.Offsetof(sqe.Personality), 42},
		{"offsetof(struct io_uring_sqe, file_index)", unsafe.Offsetof(sqe.FileIndex), 44},
		{"offsetof(struct io_uring_sqe, splice_fd_in)", unsafe.Offsetof(sqe.FileIndex), 44},
		{"offsetof(struct io_uring_sqe, addr_len)", unsafe.Offsetof(sqe.FileIndex), 44},
		{"offsetof(struct io_uring_sqe, write_stream)", unsafe.Offsetof(sqe.FileIndex), 44},
		{"offsetof(struct io_uring_sqe, optlen)", unsafe.Offsetof(sqe.FileIndex), 44},
		{"offsetof(struct io_uring_sqe, zcrx_ifq_idx)", unsafe.Offsetof(sqe.FileIndex), 44},
		{"offsetof(struct io_uring_sqe, addr3)", unsafe.Offsetof(sqe.Addr3), 48},
		{"offsetof(struct io_uring_sqe, cmd)", unsafe.Offsetof(sqe.Addr3), 48},
		{"offsetof(struct io_uring_sqe, optval)", unsafe.Offsetof(sqe.Addr3), 48},
		{"offsetof(struct io_uring_sqe, attr_ptr)", unsafe.Offsetof(sqe.Addr3), 48},
		{"offsetof(struct io_uring_sqe, attr_type_mask)", unsafe.Offsetof(sqe.AttrMask), 56},

		{"sizeof(struct io_uring_cqe)", unsafe.Sizeof(cqe), 16},
		{"offsetof(struct io_uring_cqe, user_data)", unsafe.Offsetof(cqe.UserData), 0},
		{"offsetof(struct io_uring_cqe, res)", unsafe.Offsetof(cqe.Res), 8},
		{"offsetof(struct io_uring_cqe, flags)", unsafe.Offsetof(cqe.Flags), 12},
		{"offsetof(struct io_uring_cqe, big_cqe)", cqeSize, 16},

		{"sizeof(struct io_uring_params)", unsafe.Sizeof(p), 120},
		{"offsetof(struct io_uring_params, cq_entries)", unsafe.Offsetof(p.CQEntries), 4},
		{"offsetof(struct io_uring_params, flags)", unsafe.Offsetof(p.Flags), 8},
		{"offsetof(struct io_uring_params, sq_thread_cpu)", unsafe.Offsetof(p.SQThreadCPU), 12},
		{"offsetof(struct io_uring_params, sq_thread_idle)", unsafe.Offsetof(p.SQThreadIdle), 16},
		{"offsetof(struct io_uring_params, features)", unsafe.Offsetof(p.Features), 20},
		{"offsetof(struct io_uring_params, wq_fd)", unsafe.Offsetof(p.WQFD), 24},
		{"offsetof(struct io_uring_params, sq_off)", unsafe.Offsetof(p.sqOff), 40},
		{"offsetof(struct io_uring_params, cq_off)", unsafe.Offsetof(p.cqOff), 80},
		{"sizeof(struct io_sqring_offsets)", unsafe.Sizeof(sq), 40},
		{"offsetof(struct io_sqring_offsets, flags)", unsafe.Offsetof(sq.flags), 16},
		{"offsetof(struct io_sqring_offsets, dropped)", unsafe.Offsetof(sq.dropped), 20},
		{"offsetof(struct io_sqring_offsets, array)", unsafe.Offsetof(sq.array), 24},
		{"offsetof(struct io_sqring_offsets, user_addr)", unsafe.Offsetof(sq.userAddr), 32},
		{"sizeof(struct io_cqring_offsets)", unsafe.Sizeof(cq), 40},
		{"offsetof(struct io_cqring_offsets, overflow)", unsafe.Offsetof(cq.overflow), 16},
		{"offsetof(struct io_cqring_offsets, cqes)", unsafe.Offsetof(cq.cqes), 20},
		{"offsetof(struct io_cqring_offsets, flags)", unsafe.Offsetof(cq.flags), 24},
		{"offsetof(struct io_cqring_offsets, user_addr)", unsafe.Offsetof(cq.userAddr), 32},

		{"sizeof(struct io_uring_getevents_arg)", waitArgSize, 24},
		{"offsetof(struct io_uring_getevents_arg, sigmask)", unsafe.Offsetof(arg.sigmask), 0},
		{"offsetof(struct io_uring_getevents_arg, sigmask_sz)", unsafe.Offsetof(arg.maskSize), 8},
		{"offsetof(struct io_uring_getevents_arg, min_wait_usec)", unsafe.Offsetof(arg.minWait), 12},
		{"offsetof(struct io_uring_getevents_arg, ts)", unsafe.Offsetof(arg.timeout), 16},
		{"sizeof(struct __kernel_timespec)", unsafe.Sizeof(Timespec{}), 16},
		{"sizeof(struct io_uring_reg_wait)", unsafe.Sizeof(wait), 64},
		{"offsetof(struct io_uring_reg_wait, min_wait_usec)", unsafe.Offsetof(wait.MinWait), 16},
		{"offsetof(struct io_uring_reg_wait, flags)", unsafe.Offsetof(wait.Flags), 20},
		{"offsetof(struct io_uring_reg_wait, sigmask)", unsafe.Offsetof(wait.Sigmask), 24},
		{"offsetof(struct io_uring_reg_wait, sigmask_sz)", unsafe.Offsetof(wait.SigmaskSize), 32},

		{"sizeof(struct io_uring_sync_cancel_reg)", unsafe.Sizeof(sync), 64},
		{"offsetof(struct io_uring_sync_cancel_reg, fd)", unsafe.Offsetof(sync.fd), 8},
		{"offsetof(struct io_uring_sync_cancel_reg, timeout)", unsafe.Offsetof(sync.timeout), 16},
		{"sizeof(struct io_uring_buf)", unsafe.Sizeof(b), 16},
		{"offsetof(struct io_uring_buf, len)", unsafe.Offsetof(b.len), 8},
		{"offsetof(struct io_uring_buf, bid)", unsafe.Offsetof(b.id), 12},
		{"offsetof(struct io_uring_buf_ring, tail)", unsafe.Offsetof(b.resv), 14},
		{"sizeof(struct io_uring_buf_reg)", unsafe.Sizeof(reg), 40},
		{"offsetof(struct io_uring_buf_reg, ring_entries)", unsafe.Offsetof(reg.entries), 8},
		{"offsetof(struct io_uring_buf_reg, bgid)", unsafe.Offsetof(reg.group), 12},
		{"sizeof(struct io_uring_buf_status)", unsafe.Sizeof(bufStatus{}), 40},
		{"sizeof(struct io_uring_rsrc_register)", unsafe.Sizeof(rsrc), 32},
		{"offsetof(struct io_uring_rsrc_register, data)", unsafe.Offsetof(rsrc.data), 16},
		{"offsetof(struct io_uring_rsrc_register, tags)", unsafe.Offsetof(rsrc.tags), 24},
		{"sizeof(struct io_uring_rsrc_update)", unsafe.Sizeof(rsrcUpdate{}), 16},
		{"sizeof(struct io_uring_rsrc_update2)", unsafe.Sizeof(update), 32},
		{"offsetof(struct io_uring_rsrc_update2, data)", unsafe.Offsetof(update.data), 8},
		{"offsetof(struct io_uring_rsrc_update2, nr)", unsafe.Offsetof(update.nr), 24},
		{"sizeof(struct io_uring_restriction)", unsafe.Sizeof(Restriction{}), 16},
		{"offsetof(struct io_uring_restriction, sqe_op)", unsafe.Offsetof(Restriction{}.Arg), 2},
		{"sizeof(struct io_uring_probe)", unsafe.Offsetof(probe.ops), 16},
		{"sizeof(struct io_uring_probe_op)", unsafe.Sizeof(probe.ops[0]), 8},
		{"offsetof(struct io_uring_probe_op, flags)", unsafe.Offsetof(probe.ops[0].flags), 2},
		{"sizeof(struct io_uring_file_index_range)", unsafe.Sizeof(fileRange{}), 16},
		{"sizeof(struct io_uring_napi)", unsafe.Sizeof(napi), 16},
		{"offsetof(struct io_uring_napi, op_param)", unsafe.Offsetof(napi.Param), 8},
		{"sizeof(struct io_uring_clone_buffers)", unsafe.Sizeof(clone), 32},
		{"offsetof(struct io_uring_clone_buffers, dst_off)", unsafe.Offsetof(clone.dstOff), 12},
		{"sizeof(struct io_uring_region_desc)", unsafe.Sizeof(region), 64},
		{"offsetof(struct io_uring_region_desc, mmap_offset)", unsafe.Offsetof(region.MmapOffset), 24},
		{"sizeof(struct io_uring_mem_region_reg)", unsafe.Sizeof(memRegion{}), 32},
		{"sizeof(struct io_uring_query_hdr)", unsafe.Sizeof(queryHeader{}), 40},
		{"offsetof(struct io_uring_query_hdr, result)", unsafe.Offsetof(queryHeader{}.result), 24},
		{"offsetof(struct io_uring_query_opcode, sqe_flags)", unsafe.Offsetof(Capabilities{}.SQEFlags), 32},
		{"sizeof(struct io_uring_recvmsg_out)", unsafe.Sizeof(RecvmsgOut{}), 16},
		{"sizeof(struct io_uring_attr_pi)", unsafe.Sizeof(AttrPI{}), 32},
		{"sizeof(struct io_uring_zcrx_ifq_reg)", unsafe.Sizeof(ZcrxIfqReg{}), 96},
		{"offsetof(struct io_uring_zcrx_ifq_reg, zcrx_id)", unsafe.Offsetof(ZcrxIfqReg{}.ID), 64},
		{"sizeof(struct io_uring_zcrx_area_reg)", unsafe.Sizeof(ZcrxAreaReg{}), 48},
		{"offsetof(struct io_uring_zcrx_area_reg, flags)", unsafe.Offsetof(ZcrxAreaReg{}.Flags), 24},
		{"offsetof(struct io_uring_zcrx_area_reg, dmabuf_fd)", unsafe.Offsetof(ZcrxAreaReg{}.DMABufFD), 28},
		{"sizeof(struct io_uring_zcrx_rqe)", unsafe.Sizeof(ZcrxRQE{}), 16},
		{"offsetof(struct io_uring_zcrx_rqe, len)", unsafe.Offsetof(ZcrxRQE{}.Len), 8},
		{"sizeof(struct io_uring_zcrx_cqe)", unsafe.Sizeof(ZcrxCQE{}), 16},
		{"sizeof(struct futex_waitv)", unsafe.Sizeof(FutexWaitv{}), 24},
	}
}

type layout struct {
	c          string
	here, must uintptr
}

func TestLayouts(t *testing.T) {
	for _, l := range layouts() {
		require.Equal(t, l.must, l.here, l.c)
	}
}

func TestLayoutsAreThoseOfTheHeader(t *testing.T) {
	c := findCompiler(t)
	var known []layout
	var expressions []string
	all := layouts()
	for _, l := range all {
		if c.has(l.c) {
			known = append(known, l)
			expressions = append(expressions, l.c)
		}
	}
	for i, v := range c.values(t, expressions) {
		require.EqualValues(t, known[i].must, v, known[i].c)
	}
	t.Logf("compared %d of %d: the installed header has no more", len(known), len(all))
	require.NotEmpty(t, known)
}
