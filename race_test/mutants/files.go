package main

var ofFiles = []mutation{
	{
		file: "uringwake/uringfs/descriptor.go", why: "the last user closes the descriptor",
		old: "	d.err = closeFD(current(), d.fd)\n", new: "	_ = closeFD\n",
	},
	{
		file: "uringwake/uringfs/descriptor.go", why: "a descriptor that is used is not closed",
		old: "	if d.word.Add(^(user - 1)) != closing {\n", new: "	if d.word.Add(^(user - 1))&closing == 0 {\n",
	},
	{
		file: "uringwake/uringfs/descriptor.go", why: "Close is woken",
		old: "		d.closer.Wake()\n", new: "",
	},
	{
		file: "uringwake/uringfs/descriptor.go", why: "Close interrupts what waits",
		old: "		d.waits.interrupt()\n", new: "",
	},
	{
		file: "uringwake/uringfs/descriptor.go", why: "a forgotten file is closed",
		old: "func (d *descriptor) drop() {\n", new: "func (d *descriptor) drop() {\n	return\n",
	},
	{
		file: "uringwake/uringfs/file.go", why: "a call that was in line looks at Close",
		old: "	if f.isClosing() { // while this call was in line\n", new: "	if false {\n",
	},
	{
		file: "uringwake/uringfs/file.go", why: "a read at the position waits for its turn",
		old: "	if err := f.lock(ctx, f.reader); err != nil {\n		return 0, f.fail(\"read\", err)\n	}\n	defer f.reader.Unlock()\n	n, err := f.read(ctx, p, own)\n",
		new: "	n, err := f.read(ctx, p, own)\n",
	},
	{
		file: "uringwake/uringfs/file.go", why: "a stream is read while it is written",
		old: "		f.writer = new(await.Mutex)\n", new: "",
	},
	{
		file: "uringwake/uringfs/file.go", why: "all is written",
		old: "		case err != nil || n == len(p):\n", new: "		case true:\n",
	},
	{
		file: "uringwake/uringfs/transfer_linux.go", why: "the position moves with O_DIRECT",
		old: "		if _, bad := seek(f.fd, pos+int64(n), io.SeekStart); err == nil {\n", new: "		if bad := error(nil); err == nil {\n",
	},
	{
		file: "uringwake/uringfs/transfer_linux.go", why: "a task that reads from memory lets others run",
		old: "		t.Yield()\n", new: "",
	},
	{
		file: "uringwake/uringfs/copy.go", why: "copies in opposite directions lock in one order",
		old: "	if f.number > src.number {\n", new: "	if false {\n",
	},
	{
		file: "uringwake/uringfs/copy.go", why: "what is limited stays limited",
		old: "	limit.N -= n\n", new: "",
	},
}
