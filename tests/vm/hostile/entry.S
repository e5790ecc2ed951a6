/* SPDX-License-Identifier: MIT */
/*
 * PVH entry of the hostile guest. Starts in 32-bit mode without paging, start_info in EBX. Built with -m32 it
 * stays there; with -m64 it maps the first 4 GiB onto themselves and goes on in 64-bit mode.
 */
	.pushsection .note.Xen, "a", @note
	.align 4
	.long 4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long entry
	.popsection

	.section .entry, "ax"
	.code32
	.globl entry
entry:
	cld
	mov $stack_end, %esp
#ifndef __x86_64__
	push %ebx
	call hostile
1:	hlt
	jmp 1b
#else
	mov %ebx, %esi
	/* four page directories of 2 MiB pages */
	mov $directories, %edi
	mov $0x83, %eax
	mov $2048, %ecx
2:	mov %eax, (%edi)
	movl $0, 4(%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 2b
	mov $directories + 3, %eax
	mov $pointers, %edi
	mov $4, %ecx
3:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 3b
	movl $pointers + 3, top
	mov $top, %eax
	mov %eax, %cr3
	mov $0x620, %eax	/* PAE, SSE */
	mov %eax, %cr4
	mov $0xc0000080, %ecx	/* EFER: LME */
	rdmsr
	or $0x100, %eax
	wrmsr
	mov $0x80000013, %eax	/* PG, ET, MP, PE */
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $long_mode
	.code64
long_mode:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $stack_end, %rsp
	mov %esi, %edi
	call hostile
1:	hlt
	jmp 1b

	.section .data
	.align 8
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word 23
	.long gdt

	.section .bss
	.align 4096
top:	.skip 4096
pointers:
	.skip 4096
directories:
	.skip 4096 * 4
#endif
	.section .bss
	.align 4096
	.skip 16384
stack_end:
	.section .note.GNU-stack, "", @progbits
