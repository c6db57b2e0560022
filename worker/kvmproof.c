#include "worker/kvmproof.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/own.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 5000
#define LOOP_NS_MAX (20 * KT_NS_PER_MS)
#define LOOP_ROUNDS 20000
#define SHIFTED     (0x1234ull << 4)

/* Guest-physical. 2 MiB are mapped one to one by one large page. */
#define RAM_BYTES  (2u << 20)
#define PML4_AT    0x1000
#define PDPT_AT    0x2000
#define PD_AT      0x3000
#define GDT_AT     0x4000
#define PROGRAM_AT 0x8000
#define LOOP_AT    0x9000

#define PRESENT_WRITE 0x3
#define LARGE_PAGE    0x80
#define CR0_PE        (1u << 0)
#define CR0_PG        (1u << 31)
#define CR4_PAE       (1u << 5)
#define EFER_LME      (1u << 8)
#define EFER_LMA      (1u << 10)
#define BMI2          (1u << 8) /* CPUID 7.0 EBX */

/* mov $0x1234,%eax; mov $4,%ecx; shlx %rcx,%rax,%rbx; hlt */
static const uint8_t shlx_program[] = { 0xb8, 0x34, 0x12, 0x00, 0x00, 0xb9, 0x04, 0x00,
					0x00, 0x00, 0xc4, 0xe2, 0xf1, 0xf7, 0xd8, 0xf4 };
/* the same with mov %rax,%rbx; shl %cl,%rbx */
static const uint8_t shl_program[] = { 0xb8, 0x34, 0x12, 0x00, 0x00, 0xb9, 0x04, 0x00, 0x00,
				       0x00, 0x48, 0x89, 0xc3, 0x48, 0xd3, 0xe3, 0xf4 };
/* mov $20000,%ecx; xor %eax,%eax; 1: inc %eax; dec %ecx; jnz 1b; hlt */
static const uint8_t loop_program[] = { 0xb9, 0x20, 0x4e, 0x00, 0x00, 0x31, 0xc0,
					0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa, 0xf4 };

struct machine {
	int kvm;
	int vm;
	int vcpu;
	uint8_t *ram;
	struct kvm_run *run;
	size_t run_bytes;
};

static void destroy_machine(struct machine *machine)
{
	if (machine->run)
		munmap(machine->run, machine->run_bytes);
	if (machine->ram)
		munmap(machine->ram, RAM_BYTES);
	kt_own_close(&machine->vcpu);
	kt_own_close(&machine->vm);
	kt_own_close(&machine->kvm);
}

__attribute__((format(printf, 2, 3))) static bool fails(struct kt_kvmproof *proof,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(proof->reason, sizeof(proof->reason), format, args);
	va_end(args);
	return false;
}

static void *map(int fd, size_t bytes)
{
	int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static bool make_machine(struct machine *machine, struct kt_kvmproof *proof)
{
	struct kvm_userspace_memory_region region = { .memory_size = RAM_BYTES };
	int run_bytes;

	machine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (machine->kvm < 0)
		return fails(proof, "/dev/kvm: %s", strerror(errno));
	if (ioctl(machine->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return fails(proof, "/dev/kvm speaks another version of its interface");
	machine->vm = ioctl(machine->kvm, KVM_CREATE_VM, 0);
	if (machine->vm < 0)
		return fails(proof, "KVM cannot create a machine: %s", strerror(errno));
	machine->ram = map(-1, RAM_BYTES);
	region.userspace_addr = (uintptr_t)machine->ram;
	if (!machine->ram || ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fails(proof, "KVM takes no memory: %s", strerror(errno));
	machine->vcpu = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
	run_bytes = ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (machine->vcpu < 0 || run_bytes < (int)sizeof(*machine->run))
		return fails(proof, "KVM cannot create a CPU: %s", strerror(errno));
	machine->run_bytes = (size_t)run_bytes;
	machine->run = map(machine->vcpu, machine->run_bytes);
	if (!machine->run)
		return fails(proof, "KVM's shared page cannot be mapped: %s", strerror(errno));
	return true;
}

/* The guest sees the CPUID that KVM supports: without it shlx is an invalid opcode. */
static bool set_cpuid(struct machine *machine, struct kt_kvmproof *proof)
{
	enum { ENTRIES = 256 };
	KT_AUTO_FREE struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid)
		return fails(proof, "out of memory");
	cpuid->nent = ENTRIES;
	if (ioctl(machine->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) < 0 ||
	    ioctl(machine->vcpu, KVM_SET_CPUID2, cpuid) < 0)
		return fails(proof, "KVM's CPUID cannot be set: %s", strerror(errno));
	return true;
}

static void write_u64(struct machine *machine, size_t at, uint64_t value)
{
	memcpy(machine->ram + at, &value, sizeof(value));
}

static void fill_memory(struct machine *machine)
{
	unsigned int eax;
	unsigned int ebx = 0;
	unsigned int ecx;
	unsigned int edx;
	bool bmi2 = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & BMI2);

	write_u64(machine, PML4_AT, PDPT_AT | PRESENT_WRITE);
	write_u64(machine, PDPT_AT, PD_AT | PRESENT_WRITE);
	write_u64(machine, PD_AT, 0 | LARGE_PAGE | PRESENT_WRITE);
	write_u64(machine, GDT_AT + 8, 0x00af9b000000ffff); /* 64-bit code, ring 0 */
	write_u64(machine, GDT_AT + 16, 0x00cf93000000ffff); /* data */
	if (bmi2)
		memcpy(machine->ram + PROGRAM_AT, shlx_program, sizeof(shlx_program));
	else
		memcpy(machine->ram + PROGRAM_AT, shl_program, sizeof(shl_program));
	memcpy(machine->ram + LOOP_AT, loop_program, sizeof(loop_program));
}

static bool enter_long_mode(struct machine *machine, struct kt_kvmproof *proof)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	struct kvm_segment data = { .limit = 0xffffffff,
				    .selector = 16,
				    .type = 3,
				    .present = 1,
				    .s = 1,
				    .db = 1,
				    .g = 1 };
	struct kvm_sregs sregs;

	if (ioctl(machine->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return fails(proof, "KVM's registers cannot be read: %s", strerror(errno));
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = GDT_AT;
	sregs.gdt.limit = 23;
	sregs.cr3 = PML4_AT;
	sregs.cr4 |= CR4_PAE;
	sregs.cr0 |= CR0_PE | CR0_PG;
	sregs.efer |= EFER_LME | EFER_LMA;
	if (ioctl(machine->vcpu, KVM_SET_SREGS, &sregs) < 0)
		return fails(proof, "KVM refuses long mode: %s", strerror(errno));
	return true;
}

/* Runs from rip to hlt. */
static bool run_program(struct machine *machine, uint64_t rip, const char *what,
			struct kvm_regs *regs, struct kt_kvmproof *proof)
{
	struct kvm_run *run = machine->run;

	*regs = (struct kvm_regs){ .rip = rip, .rflags = 2, .rsp = RAM_BYTES - 16 };
	if (ioctl(machine->vcpu, KVM_SET_REGS, regs) < 0)
		return fails(proof, "KVM's registers cannot be set: %s", strerror(errno));
	while (ioctl(machine->vcpu, KVM_RUN, 0) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return fails(proof, "KVM cannot run %s: %s", what, strerror(errno));
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		return fails(proof,
			     "/dev/kvm cannot run %s (internal error %u): it emulates in software "
			     "and cannot boot a stock kernel",
			     what, run->internal.suberror);
	if (run->exit_reason != KVM_EXIT_HLT)
		return fails(proof, "%s ended with exit reason %u instead of halting", what,
			     run->exit_reason);
	if (ioctl(machine->vcpu, KVM_GET_REGS, regs) < 0)
		return fails(proof, "KVM's registers cannot be read: %s", strerror(errno));
	return true;
}

static bool run_programs(struct machine *machine, struct kt_kvmproof *proof)
{
	struct kvm_regs regs;
	int64_t began_ns;
	int64_t took_ns;

	if (!run_program(machine, PROGRAM_AT, "a VEX-coded instruction", &regs, proof))
		return false;
	if (regs.rbx != SHIFTED)
		return fails(proof, "/dev/kvm computes wrongly: %#llx instead of %#llx",
			     (unsigned long long)regs.rbx, SHIFTED);
	began_ns = kt_clock_now_ns();
	if (!run_program(machine, LOOP_AT, "a loop", &regs, proof))
		return false;
	took_ns = kt_clock_now_ns() - began_ns;
	if (regs.rax != LOOP_ROUNDS)
		return fails(proof, "/dev/kvm counts wrongly: %llu instead of %d",
			     (unsigned long long)regs.rax, LOOP_ROUNDS);
	if (took_ns > LOOP_NS_MAX)
		return fails(proof,
			     "%d rounds of a loop took %lld us (at most %lld): it emulates in "
			     "software",
			     LOOP_ROUNDS, (long long)(took_ns / KT_NS_PER_US),
			     (long long)(LOOP_NS_MAX / KT_NS_PER_US));
	snprintf(proof->reason, sizeof(proof->reason),
		 "a guest ran (%d rounds of a loop in %lld us)", LOOP_ROUNDS,
		 (long long)(took_ns / KT_NS_PER_US));
	return true;
}

static void prove(struct kt_kvmproof *proof)
{
	struct machine machine = { .kvm = -1, .vm = -1, .vcpu = -1 };

	if (make_machine(&machine, proof) && set_cpuid(&machine, proof)) {
		fill_memory(&machine);
		proof->works = enter_long_mode(&machine, proof) && run_programs(&machine, proof);
	}
	destroy_machine(&machine);
}

__attribute__((noreturn)) static void run_child(int fd, pid_t parent)
{
	struct kt_kvmproof proof = { .reason = "" };

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	prove(&proof);
	_exit(write(fd, &proof, sizeof(proof)) == sizeof(proof) ? 0 : 1);
}

static void read_proof(int fd, struct kt_kvmproof *proof)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct kt_kvmproof told;
	int ready = poll(&poll_fd, 1, DEADLINE_MS);

	if (ready > 0 && read(fd, &told, sizeof(told)) == sizeof(told))
		*proof = told;
	else
		fails(proof, ready == 0
				     ? "a KVM guest of four instructions did not come back in 5 s"
				     : "the process that tried KVM died");
}

int kt_kvmproof_run(struct kt_kvmproof *proof)
{
	int64_t began_ns = kt_clock_now_ns();
	pid_t parent = getpid();
	int ends[2];
	pid_t pid;
	int rc = 0;

	*proof = (struct kt_kvmproof){ .works = false };
	if (pipe2(ends, O_CLOEXEC) < 0) {
		rc = -errno;
		fails(proof, "making a pipe: %s", strerror(errno));
		return rc;
	}
	pid = fork();
	if (pid == 0)
		run_child(ends[1], parent);
	close(ends[1]);
	if (pid < 0) {
		rc = -errno;
		fails(proof, "starting the proof: %s", strerror(errno));
	} else {
		read_proof(ends[0], proof);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(ends[0]);
	proof->took_ns = kt_clock_now_ns() - began_ns;
	return rc;
}
