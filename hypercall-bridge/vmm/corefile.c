/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <elf.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "hypercall-bridge/vmm/corefile.h"

#define NAME_CORE "CORE"
#define NAME_QEMU "QEMU"
#define NAME_INFO "VMCOREINFO"

/* QEMU's note of a processor, as crash reads it */
struct qemu_segment {
	uint32_t selector, limit, flags, pad;
	uint64_t base;
};

struct qemu_cpu {
	uint32_t version, size;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	struct qemu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
	uint64_t cr[5];
};

_Static_assert(sizeof(struct qemu_cpu) == 432, "the first version of QEMU's note");

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static size_t note_size(const char *name, size_t desc)
{
	return sizeof(Elf64_Nhdr) + round_up(strlen(name) + 1, 4) + round_up(desc, 4);
}

static size_t notes_size(const struct corefile *c)
{
	size_t vcpu = note_size(NAME_CORE, sizeof(struct elf_prstatus)) +
		      note_size(NAME_QEMU, sizeof(struct qemu_cpu));

	return c->nr_vcpus * vcpu + (c->info ? note_size(NAME_INFO, c->info_len) : 0);
}

static size_t headers_size(const struct corefile *c)
{
	return sizeof(Elf64_Ehdr) + (1 + c->nr_regions) * sizeof(Elf64_Phdr);
}

size_t corefile_size(const struct corefile *c)
{
	return round_up(headers_size(c) + notes_size(c), COREFILE_PAGE);
}

/* --- notes --- */

static uint8_t *put_note(uint8_t *at, const char *name, uint32_t type, const void *desc, size_t len)
{
	const Elf64_Nhdr head = { .n_namesz = (uint32_t)strlen(name) + 1,
				  .n_descsz = (uint32_t)len,
				  .n_type = type };

	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), name, strlen(name) + 1);
	memcpy(at + sizeof(head) + round_up(strlen(name) + 1, 4), desc, len);
	return at + note_size(name, len);
}

static uint8_t *put_prstatus(uint8_t *at, const struct corefile_vcpu *v, unsigned int id)
{
	const struct kvm_regs *r = &v->regs;
	const struct kvm_sregs *s = &v->sregs;
	const struct user_regs_struct regs = {
		.r15 = r->r15,
		.r14 = r->r14,
		.r13 = r->r13,
		.r12 = r->r12,
		.rbp = r->rbp,
		.rbx = r->rbx,
		.r11 = r->r11,
		.r10 = r->r10,
		.r9 = r->r9,
		.r8 = r->r8,
		.rax = r->rax,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.orig_rax = ~0ull,
		.rip = r->rip,
		.cs = s->cs.selector,
		.eflags = r->rflags,
		.rsp = r->rsp,
		.ss = s->ss.selector,
		.fs_base = s->fs.base,
		.gs_base = s->gs.base,
		.ds = s->ds.selector,
		.es = s->es.selector,
		.fs = s->fs.selector,
		.gs = s->gs.selector,
	};
	struct elf_prstatus status = { .pr_pid = (pid_t)id + 1 };

	_Static_assert(sizeof(status.pr_reg) == sizeof(regs), "the same registers");
	memcpy(&status.pr_reg, &regs, sizeof(regs));
	return put_note(at, NAME_CORE, NT_PRSTATUS, &status, sizeof(status));
}

/* flags as a descriptor in memory has them, from its 8th bit on */
static struct qemu_segment segment(const struct kvm_segment *s)
{
	uint32_t flags = (uint32_t)s->type << 8 | (uint32_t)s->s << 12 | (uint32_t)s->dpl << 13 |
			 (uint32_t)s->present << 15 | (uint32_t)s->avl << 20 |
			 (uint32_t)s->l << 21 | (uint32_t)s->db << 22 | (uint32_t)s->g << 23;

	return (struct qemu_segment){
		.selector = s->selector, .limit = s->limit, .flags = flags, .base = s->base
	};
}

static struct qemu_segment table(const struct kvm_dtable *t)
{
	return (struct qemu_segment){ .limit = t->limit, .base = t->base };
}

static uint8_t *put_qemu(uint8_t *at, const struct corefile_vcpu *v)
{
	const struct kvm_regs *r = &v->regs;
	const struct kvm_sregs *s = &v->sregs;
	const struct qemu_cpu cpu = {
		.version = 1,
		.size = sizeof(cpu),
		.rax = r->rax,
		.rbx = r->rbx,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.rsp = r->rsp,
		.rbp = r->rbp,
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
		.rip = r->rip,
		.rflags = r->rflags,
		.cs = segment(&s->cs),
		.ds = segment(&s->ds),
		.es = segment(&s->es),
		.fs = segment(&s->fs),
		.gs = segment(&s->gs),
		.ss = segment(&s->ss),
		.ldt = segment(&s->ldt),
		.tr = segment(&s->tr),
		.gdt = table(&s->gdt),
		.idt = table(&s->idt),
		.cr = { s->cr0, 0, s->cr2, s->cr3, s->cr4 },
	};

	return put_note(at, NAME_QEMU, 0, &cpu, sizeof(cpu));
}

/* --- the file --- */

static void put_headers(const struct corefile *c, uint8_t *buf)
{
	Elf64_Ehdr *head = (Elf64_Ehdr *)(void *)buf;
	Elf64_Phdr *part = (Elf64_Phdr *)(void *)(buf + sizeof(*head));
	uint64_t offset = corefile_size(c);

	*head = (Elf64_Ehdr){ .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					   ELFDATA2LSB, EV_CURRENT },
			      .e_type = ET_CORE,
			      .e_machine = EM_X86_64,
			      .e_version = EV_CURRENT,
			      .e_phoff = sizeof(*head),
			      .e_ehsize = sizeof(*head),
			      .e_phentsize = sizeof(*part),
			      .e_phnum = (uint16_t)(1 + c->nr_regions) };
	*part++ = (Elf64_Phdr){ .p_type = PT_NOTE,
				.p_offset = headers_size(c),
				.p_filesz = notes_size(c) };
	for (unsigned int i = 0; i < c->nr_regions; i++) {
		const struct corefile_region *r = &c->regions[i];

		*part++ = (Elf64_Phdr){ .p_type = PT_LOAD,
					.p_flags = PF_R | PF_W | PF_X,
					.p_offset = offset,
					.p_vaddr = r->gpa,
					.p_paddr = r->gpa,
					.p_filesz = r->size,
					.p_memsz = r->size };
		offset += r->size;
	}
}

void corefile_build(const struct corefile *c, uint8_t *buf)
{
	uint8_t *at = buf + headers_size(c);

	put_headers(c, buf);
	for (unsigned int i = 0; i < c->nr_vcpus; i++)
		at = put_prstatus(at, &c->vcpus[i], i);
	for (unsigned int i = 0; i < c->nr_vcpus; i++)
		at = put_qemu(at, &c->vcpus[i]);
	if (c->info)
		put_note(at, NAME_INFO, 0, c->info, c->info_len);
}

size_t corefile_info_len(const char *page, size_t size)
{
	static const char begin[] = "OSRELEASE=", inside[] = "\nSYMBOL(";
	size_t len;

	if (size < sizeof(begin) || memcmp(page, begin, strlen(begin)) != 0)
		return 0;
	len = strnlen(page, size);
	return len < COREFILE_INFO_MAX && memmem(page, len, inside, strlen(inside)) ? len : 0;
}
